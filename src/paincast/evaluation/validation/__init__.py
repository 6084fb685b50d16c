"""Internal validation: optimism, stability, sample size, sensitivity to loss, paired comparison."""
