// The theme wraps each table in a box that scrolls: let the keyboard scroll it, too.
new MutationObserver(() => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) box.tabIndex = 0
}).observe(document.documentElement, {childList: true, subtree: true})
