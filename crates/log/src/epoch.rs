//! Epochs: who vouches for which part of a room's past.
//!
//! An epoch ends where its past can't be vouched for any more: a memory room that began anew, an `async` room that
//! was open when the server ended uncleanly. Each epoch records the position it began after, so a client that comes
//! back with an older one may go on if what it has seen lies before that; otherwise it is told of a reset. Never a
//! silent hole.

use std::fmt;
use std::sync::Arc;

use madang_room::Seq;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Epochs of one room that are remembered. A client that comes back with an older one is told of a reset.
pub const EPOCHS_MAX: usize = 16;

/// The id of an epoch: `e` and 16 random hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(SmolStr);

impl Epoch {
    /// A new one. Panics where the operating system has no random numbers, without which nothing here is safe.
    pub fn random() -> Epoch {
        let number = getrandom::u64().expect("the operating system gives random numbers");
        Epoch(smol_str::format_smolstr!("e{number:016x}"))
    }

    /// As a client sent it. Any text will do: one that is unknown vouches for nothing.
    pub fn from_client(text: &str) -> Epoch {
        Epoch(text.into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A room's epochs, oldest first: at least one, at most [`EPOCHS_MAX`]. The room and its log share them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Epoch, Seq)>")]
pub struct Epochs(Arc<[(Epoch, Seq)]>);

impl Epochs {
    /// Of a room in which nothing has happened yet.
    pub fn new(epoch: Epoch) -> Epochs {
        Epochs([(epoch, Seq::ZERO)].into())
    }

    /// Begins another epoch after `last`, the newest position that can be vouched for.
    pub fn begin(&mut self, epoch: Epoch, last: Seq) {
        let forgotten = (self.0.len() + 1).saturating_sub(EPOCHS_MAX);
        self.0 = self.0[forgotten..].iter().cloned().chain([(epoch, last)]).collect();
    }

    /// The one that is now.
    pub fn current(&self) -> &Epoch {
        &self.0[self.0.len() - 1].0
    }

    /// Is what a client saw in `epoch` up to `after` still this room's past?
    pub fn vouches(&self, epoch: &Epoch, after: Seq) -> bool {
        let Some(at) = self.0.iter().position(|(known, _)| known == epoch) else { return false };
        // An epoch ends where any later one began: with several restarts, at the earliest of them.
        self.0[at + 1..].iter().all(|(_, began_after)| after <= *began_after)
    }
}

impl TryFrom<Vec<(Epoch, Seq)>> for Epochs {
    type Error = &'static str;

    fn try_from(chain: Vec<(Epoch, Seq)>) -> Result<Epochs, Self::Error> {
        if chain.is_empty() { Err("a room has at least one epoch") } else { Ok(Epochs(chain.into())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_epoch_is_good_up_to_where_the_next_began() {
        let (one, two) = (Epoch::random(), Epoch::random());
        let mut epochs = Epochs::new(one.clone());
        assert!(epochs.vouches(&one, Seq(900)));
        epochs.begin(two.clone(), Seq(812));
        assert!(epochs.vouches(&one, Seq(812)));
        assert!(!epochs.vouches(&one, Seq(813)));
        assert!(epochs.vouches(&two, Seq(900)));
        assert!(!epochs.vouches(&Epoch::from_client("e0"), Seq(1)));
        assert_eq!(epochs.current(), &two);
    }

    #[test]
    fn the_chain_is_bounded() {
        let first = Epoch::random();
        let mut epochs = Epochs::new(first.clone());
        for at in 0..EPOCHS_MAX as u64 {
            epochs.begin(Epoch::random(), Seq(at));
        }
        assert_eq!(epochs.0.len(), EPOCHS_MAX);
        assert!(!epochs.vouches(&first, Seq::ZERO), "forgotten, so a reset and no silent hole");
    }
}
