from tests.machines import debian_image, micro_image

__all__ = ["debian_image", "micro_image"]
