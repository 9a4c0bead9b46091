//! The secret that a session is resumed with: made from the session's id and a key in the data folder, so the server
//! stores nothing for it and it is good after a restart.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use madang_room::{Code, SessionId};
use sha2::Sha256;

/// Bytes of the tag that a token carries: 128 bits of HMAC-SHA-256 (RFC 2104, truncated as its section 5 allows).
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// Signs session ids.
pub(crate) struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> TokenKey {
        TokenKey(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// Reads the key of a data folder, or makes one that only its owner may read.
    pub(crate) fn open(folder: &Path) -> io::Result<TokenKey> {
        let path = folder.join("session-key");
        let mut key = [0; KEY_BYTES];
        match File::open(&path) {
            Ok(mut file) => file.read_exact(&mut key)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                getrandom::fill(&mut key).map_err(io::Error::other)?;
                // Written aside and renamed: a key that is half there would end every session.
                let aside = folder.join("session-key.new");
                let mut file =
                    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
                file.write_all(&key)?;
                file.sync_all()?;
                std::fs::rename(&aside, &path)?;
            }
            Err(error) => return Err(error),
        }
        Ok(TokenKey::new(&key))
    }

    /// `s_9f….c1…`: the session and its tag.
    pub(crate) fn token(&self, session: SessionId) -> String {
        let mut mac = self.0.clone();
        mac.update(&session.0);
        let tag = mac.finalize().into_bytes();
        format!("{session}.{}", HEXLOWER.encode(&tag[..TAG_BYTES]))
    }

    /// The session that a token stands for, if this server made it. Compares in constant time.
    pub(crate) fn verify(&self, token: &str) -> Option<SessionId> {
        let (id, tag) = token.split_once('.')?;
        let session = SessionId::parse(id)?;
        let tag = HEXLOWER.decode(tag.as_bytes()).ok().filter(|tag| tag.len() == TAG_BYTES)?;
        let mut mac = self.0.clone();
        mac.update(&session.0);
        mac.verify_truncated_left(&tag).ok().map(|()| session)
    }
}

/// The secret that makes a host, as far as it takes to recognise it.
#[derive(Clone)]
pub(crate) struct HostSecret(Option<[u8; KEY_BYTES]>);

impl HostSecret {
    /// Reads the file, without blanks around what is in it. Without a file nobody can be a host.
    pub(crate) fn open(file: Option<&Path>) -> io::Result<HostSecret> {
        let Some(file) = file else { return Ok(HostSecret(None)) };
        let secret = std::fs::read_to_string(file)?;
        match secret.trim() {
            "" => Err(io::Error::new(ErrorKind::InvalidData, "it is empty")),
            secret => Ok(HostSecret::new(secret)),
        }
    }

    pub(crate) fn new(secret: &str) -> HostSecret {
        HostSecret(Some(HostSecret::mac(secret).finalize().into_bytes().into()))
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, secret: &str) -> bool {
        self.0.is_some_and(|known| HostSecret::mac(secret).verify_slice(&known).is_ok())
    }

    fn mac(secret: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(b"madang host").expect("HMAC takes keys of any length");
        mac.update(secret.as_bytes());
        mac
    }
}

/// A session nobody has had before.
pub(crate) fn new_session() -> SessionId {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the operating system gives random numbers");
    SessionId(id)
}

/// What cancels a reservation, drawn anew.
pub(crate) fn new_code() -> Code {
    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    Code::from_random(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_session_and_key_alone() {
        let (ours, others) = (TokenKey::new(&[1; 32]), TokenKey::new(&[2; 32]));
        let session = new_session();
        let token = ours.token(session);
        assert_eq!(ours.verify(&token), Some(session));
        assert_eq!(others.verify(&token), None);
        let short = &token[..token.len() - 2];
        let forged = ours.token(SessionId([0; 16])).replace("s_00", "s_01");
        for wrong in ["", ".", "s_00.00", session.to_string().as_str(), short, &forged] {
            assert_eq!(ours.verify(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_folder_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let token = TokenKey::open(folder.path()).unwrap().token(SessionId([7; 16]));
        assert_eq!(TokenKey::open(folder.path()).unwrap().verify(&token), Some(SessionId([7; 16])));
    }
}
