"""The credit-card fraud system: from transactions to features, two models, and predictions by batch and one by one."""
