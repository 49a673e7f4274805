from tests.machines import micro_image

__all__ = ["micro_image"]
