"""Training and compressing models. The only room that needs torch."""
