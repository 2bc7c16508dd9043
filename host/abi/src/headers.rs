//! Headers as the ABI sees them: pseudo headers first, then the rest, and the wire form in which they cross.

use crate::status::Status;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers of one message.
const MOST_HEADERS: usize = 1_000;

/// Headers of one message, with those that begin with a colon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `:method`, `:path`, `:authority`, `:scheme`, or `:status`.
    pub pseudo: Vec<(&'static str, HeaderValue)>,
    /// The others.
    pub map: HeaderMap,
}

/// One change that a guest made, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Replaces every value of that name.
    Set(HeaderName, HeaderValue),
    /// Adds a value.
    Add(HeaderName, HeaderValue),
    /// Removes every value of that name.
    Remove(HeaderName),
    /// Replaces a pseudo header.
    Pseudo(&'static str, HeaderValue),
}

/// A name as guests write it.
enum Name {
    Pseudo(&'static str),
    Plain(HeaderName),
}

impl Name {
    fn of(name: &[u8]) -> Result<Self, Status> {
        Ok(match name {
            b":method" => Self::Pseudo(":method"),
            b":path" => Self::Pseudo(":path"),
            // HTTP/1's name for the same thing.
            b":authority" | b"host" | b"Host" => Self::Pseudo(":authority"),
            b":scheme" => Self::Pseudo(":scheme"),
            b":status" => Self::Pseudo(":status"),
            other => Self::Plain(HeaderName::from_bytes(other).map_err(|_| Status::BadArgument)?),
        })
    }
}

fn value(bytes: &[u8]) -> Result<HeaderValue, Status> {
    HeaderValue::from_bytes(bytes).map_err(|_| Status::BadArgument)
}

impl Headers {
    /// Headers without pseudo headers: trailers.
    #[must_use]
    pub fn plain(map: HeaderMap) -> Self {
        Self {
            pseudo: Vec::new(),
            map,
        }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pseudo.len() + self.map.len()
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A pseudo header.
    #[must_use]
    pub fn pseudo(&self, name: &str) -> Option<&HeaderValue> {
        let mut all = self.pseudo.iter();
        all.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&HeaderValue> {
        match Name::of(name).ok()? {
            Name::Pseudo(name) => self.pseudo(name),
            Name::Plain(name) => self.map.get(name),
        }
    }

    /// Adds a value. A pseudo header has one only.
    ///
    /// # Errors
    /// What the guest is told: no name or value of a header, none that may be changed, or too many.
    pub fn add(&mut self, name: &[u8], bytes: &[u8]) -> Result<Edit, Status> {
        let new = value(bytes)?;
        match Name::of(name)? {
            Name::Pseudo(name) => self.set_pseudo(name, new),
            Name::Plain(_) if self.map.len() >= MOST_HEADERS => Err(Status::InternalFailure),
            Name::Plain(name) => {
                self.map.append(name.clone(), new.clone());
                Ok(Edit::Add(name, new))
            }
        }
    }

    /// Replaces the values of a name.
    ///
    /// # Errors
    /// What the guest is told: no name or value of a header, none that may be changed, or too many.
    pub fn set(&mut self, name: &[u8], bytes: &[u8]) -> Result<Edit, Status> {
        let new = value(bytes)?;
        match Name::of(name)? {
            Name::Pseudo(name) => self.set_pseudo(name, new),
            Name::Plain(_) if self.map.len() >= MOST_HEADERS => Err(Status::InternalFailure),
            Name::Plain(name) => {
                self.map.insert(name.clone(), new.clone());
                Ok(Edit::Set(name, new))
            }
        }
    }

    /// Removes a name. A message cannot be without its pseudo headers.
    ///
    /// # Errors
    /// What the guest is told: no name or value of a header, none that may be changed, or too many.
    pub fn remove(&mut self, name: &[u8]) -> Result<Edit, Status> {
        match Name::of(name)? {
            Name::Pseudo(_) => Err(Status::BadArgument),
            Name::Plain(name) => {
                self.map.remove(&name);
                Ok(Edit::Remove(name))
            }
        }
    }

    fn set_pseudo(&mut self, name: &'static str, new: HeaderValue) -> Result<Edit, Status> {
        let mut all = self.pseudo.iter_mut();
        let (_, old) = all
            .find(|(own, _)| *own == name)
            .ok_or(Status::BadArgument)?;
        *old = new.clone();
        Ok(Edit::Pseudo(name, new))
    }

    /// Replaces everything, as far as it can be: what differs comes back as changes.
    ///
    /// # Errors
    /// What the guest is told: no name or value of a header, none that may be changed, or too many.
    pub fn replace(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<Vec<Edit>, Status> {
        let mut new = Self {
            pseudo: self.pseudo.clone(),
            map: HeaderMap::with_capacity(pairs.len()),
        };
        let mut edits: Vec<Edit> = (self.map.keys())
            .map(|name| Edit::Remove(name.clone()))
            .collect();
        for (name, value) in pairs {
            edits.push(new.add(name, value)?);
        }
        *self = new;
        Ok(edits)
    }

    /// The wire form: count, lengths, then names and values, each with a zero behind it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let pseudo = self.pseudo.iter();
        let pseudo = pseudo.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let plain = self.map.iter();
        let plain = plain.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        encode(&pseudo.chain(plain).collect::<Vec<_>>())
    }

    /// Headers out of pairs, those of a request among them.
    ///
    /// # Errors
    /// What the guest is told: no name or value of a header, none that may be changed, or too many.
    pub fn of_request(pairs: &[(&[u8], &[u8])]) -> Result<Self, Status> {
        let pseudo = [":method", ":path", ":authority", ":scheme"];
        let mut made = Self::default();
        for (name, bytes) in pairs {
            match Name::of(name)? {
                Name::Pseudo(name) if pseudo.contains(&name) => {
                    made.pseudo.retain(|(own, _)| *own != name);
                    made.pseudo.push((name, value(bytes)?));
                }
                Name::Pseudo(_) => return Err(Status::BadArgument),
                Name::Plain(_) => drop(made.add(name, bytes)?),
            }
        }
        Ok(made)
    }

    /// Headers out of pairs, without pseudo headers.
    ///
    /// # Errors
    /// What the guest is told: no name or value of a header, none that may be changed, or too many.
    pub fn of_plain(pairs: &[(&[u8], &[u8])]) -> Result<HeaderMap, Status> {
        let mut made = Self::default();
        for (name, value) in pairs {
            made.add(name, value)?;
        }
        Ok(made.map)
    }
}

/// The wire form of pairs.
#[must_use]
pub fn encode(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut wire = Vec::with_capacity(512);
    let count = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
    wire.extend_from_slice(&count.to_le_bytes());
    for (name, value) in pairs {
        wire.extend_from_slice(&length(name));
        wire.extend_from_slice(&length(value));
    }
    for (name, value) in pairs {
        for bytes in [name, value] {
            wire.extend_from_slice(bytes);
            wire.push(0);
        }
    }
    wire
}

/// Names and values.
pub type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Reads the wire form.
///
/// # Errors
/// What the guest is told: it is cut off, or has too many pairs.
pub fn decode(wire: &[u8]) -> Result<Pairs<'_>, Status> {
    // The SDKs write no map at all where it is empty.
    if wire.is_empty() {
        return Ok(Vec::new());
    }
    let bad = Status::BadArgument;
    let number = |at: usize| -> Result<usize, Status> {
        let end = at.checked_add(4).ok_or(bad)?;
        let bytes: [u8; 4] = wire
            .get(at..end)
            .and_then(|b| b.try_into().ok())
            .ok_or(bad)?;
        Ok(u32::from_le_bytes(bytes) as usize)
    };
    let count = number(0)?;
    if count > MOST_HEADERS {
        return Err(bad);
    }
    let mut at = 4 + count * 8;
    let mut next = |length: usize| -> Result<&[u8], Status> {
        let end = at.checked_add(length).ok_or(bad)?;
        let bytes = wire.get(at..end).ok_or(bad)?;
        at = end + 1;
        Ok(bytes)
    };
    let mut pairs = Vec::with_capacity(count);
    for place in 0..count {
        let name = next(number(4 + place * 8)?)?;
        let value = next(number(8 + place * 8)?)?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn request() -> Headers {
        let mut map = HeaderMap::new();
        map.append("a", HeaderValue::from_static("1"));
        map.append("a", HeaderValue::from_static("2"));
        Headers {
            pseudo: vec![(":path", HeaderValue::from_static("/x"))],
            map,
        }
    }

    #[test]
    fn the_wire_form_is_that_of_the_specification() {
        let mut one = Headers::default();
        one.add(b"k", b"vv").unwrap();
        assert_eq!(
            one.encode(),
            [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, b'k', 0, b'v', b'v', 0]
        );
        let wire = request().encode();
        let pairs = decode(&wire).unwrap();
        assert_eq!(pairs[0], (&b":path"[..], &b"/x"[..]));
        assert_eq!(pairs.len(), 3);
    }

    #[test]
    fn broken_wire_forms_are_refused() {
        let wire = request().encode();
        for end in 1..wire.len() - 1 {
            assert_eq!(decode(&wire[..end]), Err(Status::BadArgument), "{end}");
        }
        assert_eq!(decode(&[255; 64]), Err(Status::BadArgument));
        assert_eq!(decode(&[]), Ok(Vec::new()));
    }

    #[test]
    fn changes_are_made_and_told() {
        let mut headers = request();
        assert_eq!(headers.get(b"A").unwrap(), "1");
        assert!(matches!(headers.set(b"a", b"3"), Ok(Edit::Set(..))));
        assert!(matches!(
            headers.set(b":path", b"/y"),
            Ok(Edit::Pseudo(":path", _))
        ));
        assert_eq!(headers.get(b"a").unwrap(), "3");
        assert_eq!(headers.get(b":path").unwrap(), "/y");
        assert_eq!(headers.set(b":status", b"200"), Err(Status::BadArgument));
        assert_eq!(headers.set(b"a b", b""), Err(Status::BadArgument));
        assert_eq!(headers.add(b"a", b"x\ny"), Err(Status::BadArgument));
        assert_eq!(headers.remove(b":path"), Err(Status::BadArgument));
        let edits = headers.replace(&[(b"b", b"1"), (b":path", b"/z")]).unwrap();
        assert_eq!(edits.len(), 3);
        assert_eq!(
            (headers.get(b"a"), headers.get(b":path").unwrap().as_bytes()),
            (None, &b"/z"[..])
        );
    }
}
