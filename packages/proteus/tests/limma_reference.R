# Writes the numbers that tests/test_limma_parity.py compares with: Rscript limma_reference.R OUT.csv
# Needs R with limma (>= 3.62), statmod and survival. It only calls their public functions.
suppressMessages({library(limma); library(survival)})
out <- commandArgs(TRUE)[1]
rows <- list()
put <- function(case, quantity, value) {
  value <- as.matrix(value)
  rows[[length(rows) + 1]] <<- data.frame(case = case, quantity = quantity, row = rep(seq_len(nrow(value)), ncol(value)),
    column = rep(seq_len(ncol(value)), each = nrow(value)), value = sprintf("%.12g", as.vector(value)))
}
put_fit <- function(case, fit, coef = 2) {
  put(case, "t", fit$t[, coef]); put(case, "p", fit$p.value[, coef]); put(case, "d0", fit$df.prior)
  put(case, "s0", sqrt(fit$s2.prior)); put(case, "s_post", sqrt(fit$s2.post)); put(case, "df", fit$df.total)
  put(case, "coef", fit$coefficients[, coef])
}
make <- function(seed, P, N, na = 0, d0 = 6) {
  set.seed(seed)
  level <- runif(P, 18, 30)
  sd <- sqrt(0.05 * (1 + 8 * exp(-(level - 18) / 3)) * d0 / rchisq(P, d0))
  sd[21:26] <- c(4, 6, 8, 10, 15, 20)
  y <- level + sd * matrix(rnorm(P * N), P, N)
  y[1:20, 1:(N / 2)] <- y[1:20, 1:(N / 2)] + 1
  if (na > 0) for (i in seq_len(P)) y[i, sample(N, rbinom(1, N - 4, na))] <- NA
  y
}
y <- make(1, 120, 8); g <- rep(1:0, each = 4); X <- cbind(1, g, rep(0:1, 4)); put("random", "y", y); put("random", "X", X)
fit <- lmFit(y, X)
put_fit("plain", eBayes(fit)); put_fit("trend", eBayes(fit, trend = TRUE)); put_fit("robust", eBayes(fit, robust = TRUE))
put_fit("trend+robust", eBayes(fit, trend = TRUE, robust = TRUE))
tr <- treat(fit, lfc = 0.3); put("treat", "t", tr$t[, 2]); put("treat", "p", tr$p.value[, 2])
tr <- treat(fit, lfc = 0.3, trend = TRUE); put("treat+trend", "t", tr$t[, 2]); put("treat+trend", "p", tr$p.value[, 2])
w <- c(1, .5, 2, 1, 1.5, .3, 1, 1); put("weights", "w", w); put_fit("weights", eBayes(lmFit(y, X, weights = w)))
set.seed(5); W <- matrix(runif(length(y), .3, 3), nrow(y)); put("matrix weights", "w", W)
put_fit("matrix weights", eBayes(lmFit(y, X, weights = W)))
put("array weights", "w", arrayWeights(y, X, method = "reml", prior.n = 1e-9))
yn <- make(2, 120, 8, na = 0.25); put("missing", "y", yn)
fn <- lmFit(yn, X)
put_fit("missing", eBayes(fn)); put_fit("missing moment", eBayes(fn, legacy = TRUE))
put_fit("missing trend", eBayes(fn, trend = TRUE)); put_fit("missing robust", eBayes(fn, robust = TRUE))
put_fit("missing trend+robust", eBayes(fn, trend = TRUE, robust = TRUE))
put_fit("missing moment trend", eBayes(fn, trend = TRUE, legacy = TRUE))
put_fit("missing moment robust", eBayes(fn, robust = TRUE, legacy = TRUE))
put_fit("missing weights", eBayes(lmFit(yn, X, weights = w)))
set.seed(7); yi <- matrix(rnorm(960, 0, .3), 120); put("infinite prior", "y", yi); put_fit("infinite prior", eBayes(lmFit(yi, X)))
three <- factor(rep(c("a", "b", "c"), c(3, 3, 2))); M <- model.matrix(~0 + three); K <- cbind(c(1, -1, 0), c(0, 1, -1), c(1, 0, -1))
fc <- eBayes(contrasts.fit(lmFit(y, M), K)); put("F", "X", M); put("F", "F", fc$F); put("F", "p", fc$F.p.value)
fc <- eBayes(contrasts.fit(lmFit(yn, M), K)); put("F missing", "t", fc$t); put("F missing", "d0", fc$df.prior)
yb <- make(3, 200, 12); b <- rep(1:6, each = 2); Xb <- cbind(1, rep(0:1, 6))
set.seed(4); yb <- yb + matrix(rnorm(200 * 6, 0, .4), 200)[, b]
dc <- duplicateCorrelation(yb, Xb, block = b); put("block", "y", yb); put("block", "X", Xb); put("block", "block", b)
put("block", "rho", dc$consensus.correlation); put("block", "atanh", dc$atanh.correlations)
put_fit("block", eBayes(lmFit(yb, Xb, block = b, correlation = dc$consensus.correlation)))
ybn <- yb; set.seed(6); ybn[sample(length(ybn), 120)] <- NA; put("block missing", "y", ybn)
put_fit("block missing", eBayes(lmFit(ybn, Xb, block = b, correlation = 0.4)))
wb <- rep(c(1, 2, .5), 4); put("block weights", "w", wb)
put_fit("block weights", eBayes(lmFit(yb, Xb, block = b, correlation = 0.4, weights = wb)))
set.seed(8); sets <- lapply(c(5, 10, 40, 60), function(m) sample(120, m)); names(sets) <- paste0("s", 1:4); sets$s2 <- 1:10
cor4 <- rnorm(8); yc <- y; yc[sets$s3, ] <- yc[sets$s3, ] + rep(cor4, each = 40) * .3; put("sets", "y", yc)
for (s in names(sets)) put("sets", s, sets[[s]])
cam <- camera(yc, sets, X, contrast = 2, inter.gene.cor = NA, sort = FALSE)
put("camera", "p", cam$PValue); put("camera", "rho", cam$Correlation)
cam <- camera(yc, sets, X, contrast = 2, inter.gene.cor = 0.01, sort = FALSE); put("camera fixed", "p", cam$PValue)
put("camera preranked", "p", cameraPR(eBayes(lmFit(yc, X))$t[, 2], sets, sort = FALSE)$PValue)
put("fry", "p", fry(yc, sets, X, contrast = 2, sort = "none")$PValue)
set.seed(9); ro <- mroast(yc, sets, X, contrast = 2, nrot = 19999, sort = "none", approx.zscore = FALSE); put("roast", "p", ro$PValue)
set.seed(10); n <- 60; time <- round(rexp(n) * 10 + 1); event <- rbinom(n, 1, .6); age <- rnorm(n); grp <- rep(0:1, n / 2)
x <- matrix(rnorm(20 * n), 20); x[1, ] <- x[1, ] + log(time); put("survival", "time", time); put("survival", "event", event)
put("survival", "x", x); put("survival", "age", age); put("survival", "grp", grp)
cox <- t(apply(x, 1, function(v) summary(coxph(Surv(time, event) ~ v + age, ties = "efron"))$coefficients[1, c(1, 3, 5)]))
put("survival", "cox", cox)
put("survival", "cox1", t(apply(x, 1, function(v) summary(coxph(Surv(time, event) ~ v))$coefficients[1, c(1, 3, 5)])))
put("survival", "zph", apply(x, 1, function(v) cox.zph(coxph(Surv(time, event) ~ v), transform = "km")$table[1, 3]))
put("survival", "c", apply(x, 1, function(v) 1 - concordance(Surv(time, event) ~ v)$concordance))
sd <- survdiff(Surv(time, event) ~ grp); put("survival", "logrank", sd$chisq)
km <- survfit(Surv(time, event) ~ 1); put("survival", "km_time", km$time); put("survival", "km", km$surv); put("survival", "km_se", km$std.err)
put("survival", "rmst", summary(survfit(Surv(time, event) ~ grp), rmean = 15)$table[, c("rmean", "se(rmean)")])
write.csv(do.call(rbind, rows), out, row.names = FALSE, quote = FALSE)
