# What limma finds in the tables of tests/test_designs.py: Rscript limma_designs.R FOLDER OUT.csv
# FOLDER holds N_values.csv (features by samples, log2) and N_sheet.csv (a, b) for each table N.
# Moderated F over the interaction of a and b, or t of the slope of b; Benjamini and Hochberg's q.
suppressMessages(library(limma))
args <- commandArgs(TRUE)
rows <- lapply(sort(list.files(args[1], "_values.csv$")), function(name) {
  number <- sub("_values.csv", "", name)
  y <- as.matrix(read.csv(file.path(args[1], name), row.names = 1))
  sheet <- read.csv(file.path(args[1], paste0(number, "_sheet.csv")), colClasses = "character")
  X <- if ("a" %in% names(sheet)) model.matrix(~ factor(a) * factor(b), sheet) else model.matrix(~ as.numeric(b), sheet)
  asked <- if ("a" %in% names(sheet)) grep(":", colnames(X)) else 2
  fit <- eBayes(lmFit(y, X))
  p <- if (length(asked) > 1) topTable(fit, coef = asked, number = Inf, sort.by = "none")$P.Value else fit$p.value[, asked]
  q <- p.adjust(p, "BH")
  data.frame(table = as.integer(number), feature = rownames(y), p = sprintf("%.6g", p))[which(q <= 0.05), ]
})
found <- do.call(rbind, rows)
write.csv(found[order(found$table), ], args[2], row.names = FALSE, quote = FALSE)
