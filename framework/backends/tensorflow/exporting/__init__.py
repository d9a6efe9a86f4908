"""Exports of a trained Keras model: its graphs, and one file for each format that TensorFlow writes."""

from framework.backends.tensorflow.environment import prepare

prepare()
