"""llamacy: LLaMA inference from the command line. Importing this package loads nothing else."""

__version__ = "0.1.0"
