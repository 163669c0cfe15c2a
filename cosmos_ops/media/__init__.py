"""Video and picture files: probing, streaming frames in and out, thumbnails, the procedural demo city."""
