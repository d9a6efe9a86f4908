"""Where runs are recorded beside their own folder. The only place that imports MLflow."""
