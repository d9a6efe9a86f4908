"""From YAML files and overrides to one plain mapping that knows who set each value. The only place for Hydra, OmegaConf and YAML."""
