//! The Pipedream Connect contract through a typed client, which is made from the table of its
//! operations as we read it ([`client`]) and takes no field that it does not know ([`shapes`]).

mod accounts;
mod client;
mod compatibility;
mod components;
mod customers;
mod doors;
mod hostile;
mod operations;
mod overrides;
mod paging;
mod proxy;
mod shapes;
mod stage;
mod upstream;
