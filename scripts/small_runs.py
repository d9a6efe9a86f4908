"""Runs of all recipes that take seconds and have in them what is hard to go on with, or to share: for kill_loop and processes_check."""

SETTINGS = (
    "optimizer.schedule.kind=cosine",
    "trainer.max_epochs=4",
    "trainer.checkpoint.every_n_steps=7",
    "trainer.log_every_n_steps=1",
    "tracking=none",
)
_TEXT = (
    "data=python_source",
    "data.batch_size=8",
    "data.sequence_length=40",
    "data.validation_fraction=0.05",
    "model.layers.gru.units=64",
    "model.layers.gru.dropout=0.2",
    "trainer.limit_val_batches=20",
    "decoding.sample_length=60",
)
LARGER = ("model.layers.gru.units=256", "data.batch_size=32")
"""Of a text model, where products are measured: too small ones are not worth it."""

KINDS = {
    "text_generation": (*_TEXT, "trainer.limit_train_batches=60"),
    "text_generation_stateless": (*_TEXT, "data.max_tokens=20000", "data.drop_remainder=false"),
    "translation": (
        "data=dates",
        "data.max_pairs=1200",
        "data.batch_size=16",
        "data.order=buckets",
        "model=translation_bidirectional",
        "model.layers.encoder.layer.units=24",
        "model.layers.start.units=24",
        "model.layers.decoder.cell.units=24",
        "model.layers.decoder.attention.units=16",
        "task.normalization=per_token",
        "task.label_smoothing=0.1",
    ),
    "captioning": (
        "data=scenes",
        "data.max_images=300",
        "data.batch_size=16",
        "data.order=buckets",
        "data.test_fraction=0",
        "model=captioning_corrected",
        "model.layers.encoder.units=24",
        "model.layers.first_state.units=24",
        "model.layers.decoder.cell.units=24",
        "model.layers.decoder.attention.units=16",
        "model.layers.hidden.units=24",
        "task.normalization=per_token",
    ),
}
