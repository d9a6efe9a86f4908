"""The shipped configuration: one group a folder. Installed as `framework.configs`."""
