"""Reading and atomic writing of files: models and samples."""
