"""Files: written whole or not at all, and read with bounds on what others wrote."""

from paincast.files.atomic import atomic_file, atomic_files, atomic_folder, hash_file

__all__ = ["atomic_file", "atomic_files", "atomic_folder", "hash_file"]
