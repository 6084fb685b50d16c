"""Write files atomically, and read untrusted files within limits of size and depth."""

from paincast.files.atomic import atomic_file, atomic_files, atomic_folder, hash_file

__all__ = ["atomic_file", "atomic_files", "atomic_folder", "hash_file"]
