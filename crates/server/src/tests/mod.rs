//! Scenes: whole shards in memory, with memory for sockets and a clock cranked by hand.

mod chance;
mod chat;
mod coming_back;
mod endings;
mod hot_paths;
mod http;
mod limits;
mod lobby;
mod log;
mod races;
mod resume;
mod services;
mod show;
mod socketio;
mod world;
