"""dataguard keeps shared source datasets unchanged: register, mount, run, audit."""

__all__ = ["__version__"]

__version__ = "0.1.0"
