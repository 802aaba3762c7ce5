"""The pure core: Arrow and numpy in, Arrow and numpy out."""
