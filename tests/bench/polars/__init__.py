"""The benchmark's Polars rival: each module is a stage, frames in, frames out."""
