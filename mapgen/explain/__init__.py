"""Why a model shows a place as it does: what of the pixels speaks for a class, and what against it."""
