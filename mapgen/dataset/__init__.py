"""Imagery and labels laid down as a training dataset."""
