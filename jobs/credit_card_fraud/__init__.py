"""The credit-card fraud system: features, two models, predictions by batch and one by one."""
