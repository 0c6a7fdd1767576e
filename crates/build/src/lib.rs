//! Plan and execute a build: stage graph to steps, steps to layers, images to outputs.
#![forbid(unsafe_code)]
