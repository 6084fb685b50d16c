# Reference values of shares pooled over studies, from R (metafor). Run in this folder with: Rscript shares.R
# Reads shares.csv (counts of the extraction table) and writes shares_expected.csv: log odds, pooled by restricted
# maximum likelihood with the error of Hartung and Knapp; a half is added only to studies in which none or all respond.

suppressPackageStartupMessages(library(metafor))
counts <- read.csv("shares.csv")
expected <- do.call(rbind, lapply(split(counts, counts$set), function(rows) {
  fit <- rma(measure = "PLO", xi = events, ni = n, data = rows, add = 1/2, to = "only0", method = "REML", test = "adhoc",
             control = list(threshold = 1e-14, maxiter = 1000))
  values <- c(mean = as.numeric(fit$beta), error = fit$se, lower = fit$ci.lb, upper = fit$ci.ub, tau = sqrt(fit$tau2))
  data.frame(set = rows$set[1], quantity = names(values), value = sprintf("%.15g", values))
}))
write.csv(expected, "shares_expected.csv", row.names = FALSE, quote = FALSE)
