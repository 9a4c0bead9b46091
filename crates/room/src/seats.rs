//! A house's seats: which there are, what they are called, where they stand and what they cost.
//!
//! A seat's id is its section, row and number: `A-1-4`. The map is drawn up once, from what a configuration or a
//! request says, and never changes; who has which seat is the business of `show`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use crate::Nick;
use crate::name::folded;

/// Seats in one map. It bounds what one performance's state takes: 100,000 seats are about 8 MB.
pub const SEATS_MAX: usize = 100_000;
/// Entries in the list that a map is made from.
pub const AREAS_MAX: usize = 1_000;
/// The highest number of a row or a seat.
pub const SEAT_NUMBER_MAX: u16 = 9_999;
/// Bytes of UTF-8 in the name of a section.
pub const SECTION_BYTES_MAX: usize = 16;

/// The id of a seat: `A-1-4`, section, row and number. That it has this form doesn't mean that there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatId(SmolStr);

impl SeatId {
    /// Reads an id; the section's name may itself hold a `-`. `None` where `raw` has another form.
    pub fn parse(raw: &str) -> Option<SeatId> {
        let (rest, number) = raw.rsplit_once('-')?;
        let (section, row) = rest.rsplit_once('-')?;
        Some(SeatId::of(&section_name(section)?, seat_number(row)?, seat_number(number)?))
    }

    fn of(section: &str, row: u16, number: u16) -> SeatId {
        SeatId(format_smolstr!("{section}-{row}-{number}"))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as it is compared: case and width make no difference.
    pub(crate) fn key(&self) -> SmolStr {
        folded(&self.0)
    }
}

impl fmt::Display for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What everybody may know of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeatStatus {
    /// Anybody's.
    Free,
    /// Somebody's for a while.
    Held,
    /// Sold.
    Reserved,
}

impl SeatStatus {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            SeatStatus::Free => "free",
            SeatStatus::Held => "held",
            SeatStatus::Reserved => "reserved",
        }
    }
}

/// A rectangle of seats as people describe it: each of these rows has each of these seats, at one price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatArea {
    /// The section's name, up to [`SECTION_BYTES_MAX`] bytes of what names are made of. A section may have several
    /// areas; the best section comes first.
    pub section: String,
    /// Rows, the front one with the lowest number: `1-10`, or a list as `1-10,12-20`.
    pub rows: String,
    /// Seats in each of these rows, written as the rows are. A number that is left out is an aisle.
    pub seats: String,
    /// What one seat costs, in the smallest unit of the house's currency.
    #[serde(default)]
    pub price: u64,
}

/// Why a list of areas is no seat map. It names the field: `seats[0].rows`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct SeatMapError {
    /// Which field, as in the configuration and in what `PUT /api/shows/{show}` takes.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub why: String,
}

/// All seats of a performance, in their order: the sections as they were listed, in each the rows from the front, in
/// each the seats by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatMap {
    areas: Vec<SeatArea>,
    sections: Vec<SmolStr>,
    seats: Vec<Seat>,
    ids: Vec<SeatId>,
    by_key: HashMap<SmolStr, u32>,
    /// Where each row's seats are.
    rows: Vec<Range<usize>>,
}

/// Where one seat stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seat {
    section: u16,
    row: u16,
    number: u16,
    area: u16,
}

/// One row of a section, as [`SeatMap::rows`] lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatRow<'m> {
    /// The section's name.
    pub section: &'m str,
    /// The row's number.
    pub row: u16,
    /// Its seats: their places in the order of the map.
    pub seats: Range<usize>,
}

impl SeatMap {
    /// Draws up the map.
    ///
    /// # Errors
    /// With no seat, more than [`SEATS_MAX`], one that is there twice, or a field that can't be read.
    pub fn new(areas: Vec<SeatArea>) -> Result<SeatMap, SeatMapError> {
        let error = |field: String, why: String| SeatMapError { field, why };
        if areas.is_empty() {
            return Err(error("seats".to_owned(), NO_SEATS.to_owned()));
        }
        if areas.len() > AREAS_MAX {
            let why = format!("a list of at most {AREAS_MAX} areas, not {}", areas.len());
            return Err(error("seats".to_owned(), why));
        }
        let (mut sections, mut section_keys) = (Vec::new(), HashMap::new());
        let mut seats = Vec::new();
        for (area, SeatArea { section, rows, seats: numbers, .. }) in areas.iter().enumerate() {
            let field = |name: &str| format!("seats[{area}].{name}");
            let name = section_name(section)
                .ok_or_else(|| error(field("section"), format!("{:?} {NO_SECTION}", excerpt(section))))?;
            let key = folded(&name);
            let section = *section_keys.entry(key).or_insert_with(|| {
                sections.push(name);
                sections.len() as u16 - 1
            });
            let rows = numbers_of(rows).map_err(|why| error(field("rows"), why))?;
            let numbers = numbers_of(numbers).map_err(|why| error(field("seats"), why))?;
            if seats.len() + rows.len() * numbers.len() > SEATS_MAX {
                return Err(error(
                    field("seats"),
                    format!("with these there are more than {SEATS_MAX} seats"),
                ));
            }
            for row in rows {
                let seat = |number: &u16| Seat { section, row, number: *number, area: area as u16 };
                seats.extend(numbers.iter().map(seat));
            }
        }
        seats.sort_unstable();
        let place = |seat: &Seat| (seat.section, seat.row, seat.number);
        let id = |seat: &Seat| SeatId::of(&sections[usize::from(seat.section)], seat.row, seat.number);
        if let Some(twice) = seats.windows(2).find(|pair| place(&pair[0]) == place(&pair[1])) {
            let field = format!("seats[{}].seats", twice[1].area);
            return Err(error(field, format!("{} is in seats[{}], too", id(&twice[1]), twice[0].area)));
        }
        let ids: Vec<SeatId> = seats.iter().map(id).collect();
        let by_key = ids.iter().zip(0..).map(|(id, at)| (id.key(), at)).collect();
        let mut rows = Vec::new();
        let mut at = 0;
        for row in seats.chunk_by(|a, b| (a.section, a.row) == (b.section, b.row)) {
            rows.push(at..at + row.len());
            at += row.len();
        }
        Ok(SeatMap { areas, sections, seats, ids, by_key, rows })
    }

    /// The number of seats, at least one.
    #[allow(clippy::len_without_is_empty, reason = "no map is empty")]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// What it was drawn up from.
    pub fn areas(&self) -> &[SeatArea] {
        &self.areas
    }

    /// The ids of all seats, in order.
    pub fn ids(&self) -> &[SeatId] {
        &self.ids
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = SeatRow<'_>> {
        self.rows.iter().map(|seats| {
            let Seat { section, row, .. } = self.seats[seats.start];
            SeatRow { section: &self.sections[usize::from(section)], row, seats: seats.clone() }
        })
    }

    /// The seat's number in its row, where `at` is its place in the order of the map.
    pub fn number(&self, at: usize) -> Option<u16> {
        self.seats.get(at).map(|seat| seat.number)
    }

    /// What the seat at that place costs.
    pub fn price(&self, at: usize) -> Option<u64> {
        self.seats.get(at).map(|seat| self.areas[usize::from(seat.area)].price)
    }

    /// The seat's place in the order of the map. Case and width of the section's name make no difference.
    pub fn find(&self, id: &SeatId) -> Option<usize> {
        self.by_key.get(&id.key()).map(|at| *at as usize)
    }

    /// The best `count` free seats side by side: their places, or `None` where no row has so many together.
    ///
    /// The first section that has them wins, then the front row, then what is nearest to the row's middle, then the
    /// lower numbers. Side by side are numbers that follow each other; the middle of a row is halfway between its
    /// lowest and its highest number, so an aisle counts as it is walked.
    pub fn best(&self, count: usize, is_free: impl Fn(usize) -> bool) -> Option<Range<usize>> {
        self.rows.iter().find_map(|row| self.best_in_row(row, count, &is_free))
    }

    fn best_in_row(
        &self,
        row: &Range<usize>,
        count: usize,
        is_free: &impl Fn(usize) -> bool,
    ) -> Option<Range<usize>> {
        let number = |at: usize| i32::from(self.seats[at].number);
        // Twice the middle, and twice that of a block: halves would need fractions.
        let middle = number(row.start) + number(row.end - 1);
        let mut together = 0;
        let mut best: Option<(i32, Range<usize>)> = None;
        for at in row.clone() {
            let follows = together > 0 && number(at) == number(at - 1) + 1;
            together = if !is_free(at) { 0 } else { 1 + if follows { together } else { 0 } };
            if count == 0 || together < count {
                continue;
            }
            let block = at + 1 - count..at + 1;
            let distance = (number(block.start) + number(at) - middle).abs();
            if best.as_ref().is_none_or(|(nearest, _)| distance < *nearest) {
                best = Some((distance, block));
            }
        }
        best.map(|(_, block)| block)
    }
}

const NO_SEATS: &str =
    "at least one area is needed, as { section = \"A\", rows = \"1-10\", seats = \"1-20\", price = 50000 }";
const NO_SECTION: &str = "is no section's name: 1 to 16 bytes of letters, digits, '-', '_' and '.'";
const _: () = assert!(SECTION_BYTES_MAX == 16);

fn section_name(raw: &str) -> Option<SmolStr> {
    let name = Nick::parse(raw).ok()?;
    (name.as_str().len() <= SECTION_BYTES_MAX).then(|| name.as_str().into())
}

/// A number in its one spelling: no sign, no leading zero.
fn seat_number(raw: &str) -> Option<u16> {
    let is_plain = !raw.starts_with('0') && raw.bytes().all(|byte| byte.is_ascii_digit());
    raw.parse().ok().filter(|number| is_plain && *number <= SEAT_NUMBER_MAX)
}

/// The numbers of a list such as `1-10,12-20`.
fn numbers_of(list: &str) -> Result<BTreeSet<u16>, String> {
    let mut numbers = BTreeSet::new();
    for part in list.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (seat_number(from.trim()), seat_number(to.trim()));
        let (Some(from), Some(to)) = (from, to) else {
            return Err(format!(
                "{:?} is no list of numbers from 1 to {SEAT_NUMBER_MAX}, as \"1-10,12-20\"",
                excerpt(list)
            ));
        };
        if from > to {
            return Err(format!("{from}-{to} runs backwards; write {to}-{from}"));
        }
        if let Some(twice) = (from..=to).find(|number| !numbers.insert(*number)) {
            return Err(format!("{twice} is in {:?} twice", excerpt(list)));
        }
    }
    Ok(numbers)
}

fn excerpt(raw: &str) -> String {
    raw.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn area(section: &str, rows: &str, seats: &str) -> SeatArea {
        SeatArea { section: section.into(), rows: rows.into(), seats: seats.into(), price: 50_000 }
    }

    fn map(areas: &[(&str, &str, &str)]) -> SeatMap {
        SeatMap::new(areas.iter().map(|(section, rows, seats)| area(section, rows, seats)).collect()).unwrap()
    }

    fn id(text: &str) -> SeatId {
        SeatId::parse(text).unwrap()
    }

    #[test]
    fn seats_are_called_by_section_row_and_number() {
        let map = map(&[("A", "1-10", "1-20"), ("Loge", "1", "1-2,4-5")]);
        assert_eq!((map.len(), map.ids()[0].as_str()), (204, "A-1-1"));
        assert_eq!(map.ids()[199].as_str(), "A-10-20");
        let last: Vec<_> = map.ids()[200..].iter().map(SeatId::as_str).collect();
        assert_eq!(last, ["Loge-1-1", "Loge-1-2", "Loge-1-4", "Loge-1-5"]);
        assert_eq!(map.rows().count(), 11);
        let loge = map.rows().last().unwrap();
        assert_eq!((loge.section, loge.row, loge.seats), ("Loge", 1, 200..204));
        assert_eq!((map.number(202), map.price(202), map.number(204)), (Some(4), Some(50_000), None));
        assert_eq!(map.find(&id("a-10-20")), Some(199));
        assert_eq!(map.find(&id("ＬＯＧＥ-1-4")), Some(202));
        assert_eq!(map.find(&id("Loge-1-3")), None);
    }

    #[test]
    fn an_id_has_one_spelling() {
        for text in ["A-1-1", "two-part-1-1", "나-1-9999"] {
            assert_eq!(id(text).as_str(), text);
        }
        for text in
            ["", "A", "A-1", "-1-1", "A-01-1", "A-0-1", "A-1-10000", "A-1-+1", "A-1-x", "a b-1-1", "A/1-1-1"]
        {
            assert_eq!(SeatId::parse(text), None, "{text}");
        }
        assert_eq!(SeatId::parse(&format!("{}-1-1", "A".repeat(17))), None);
    }

    #[test]
    fn what_is_no_map_names_the_field() {
        let wrong = |areas: &[(&str, &str, &str)]| {
            let areas = areas.iter().map(|(section, rows, seats)| area(section, rows, seats)).collect();
            SeatMap::new(areas).unwrap_err().to_string()
        };
        for (areas, said) in [
            (&[][..], "seats: at least one area"),
            (&[("", "1", "1")], "seats[0].section: \"\" is no section's name"),
            (&[("A B", "1", "1")], "seats[0].section: \"A B\" is no section's name"),
            (&[("A", "", "1")], "seats[0].rows: \"\" is no list"),
            (&[("A", "1-", "1")], "seats[0].rows: \"1-\" is no list"),
            (&[("A", "1", "0-5")], "seats[0].seats: \"0-5\" is no list"),
            (&[("A", "1", "1-1000000")], "seats[0].seats: \"1-1000000\" is no list"),
            (&[("A", "1", "20-1")], "seats[0].seats: 20-1 runs backwards; write 1-20"),
            (&[("A", "1", "1-5,3")], "seats[0].seats: 3 is in \"1-5,3\" twice"),
            (&[("A", "1-3", "1-5"), ("a", "3", "5-9")], "seats[1].seats: A-3-5 is in seats[0], too"),
            (
                &[("A", "1-9999", "1-10"), ("B", "1", "1-11")],
                "seats[1].seats: with these there are more than 100000",
            ),
            (&[("A", "1-9999", "1-9999")], "seats[0].seats: with these there are more than 100000"),
        ] {
            let told = wrong(areas);
            assert!(told.starts_with(said), "{told}");
        }
        assert!(SeatMap::new(vec![area("A", "1", "1"); AREAS_MAX + 1]).is_err());
        assert_eq!(map(&[("A", "1-1000", "1-100")]).len(), SEATS_MAX);
    }

    #[test]
    fn the_best_seats_are_in_front_and_in_the_middle() {
        let map = map(&[("A", "1-2", "1-7"), ("B", "1", "1-3,5-9")]);
        let best = |count, taken: &[&str]| {
            let taken: Vec<_> = taken.iter().map(|text| map.find(&id(text)).unwrap()).collect();
            let seats = map.best(count, |at| !taken.contains(&at))?;
            Some(seats.map(|at| map.ids()[at].as_str()).collect::<Vec<_>>().join(" "))
        };
        for (count, taken, expected) in [
            (1, &[][..], Some("A-1-4")),
            (2, &[], Some("A-1-3 A-1-4")),
            (3, &[], Some("A-1-3 A-1-4 A-1-5")),
            (2, &["A-1-4"], Some("A-1-2 A-1-3")),
            (2, &["A-1-3", "A-1-4"], Some("A-1-5 A-1-6")),
            (4, &["A-1-4"], Some("A-2-2 A-2-3 A-2-4 A-2-5")),
            (7, &["A-1-1"], Some("A-2-1 A-2-2 A-2-3 A-2-4 A-2-5 A-2-6 A-2-7")),
            (5, &["A-1-4", "A-2-4"], Some("B-1-5 B-1-6 B-1-7 B-1-8 B-1-9")),
            (8, &[], None),
            (0, &[], None),
        ] {
            assert_eq!(best(count, taken).as_deref(), expected, "{count} without {taken:?}");
        }
        let aisle = |count, taken| best(count, taken);
        let front = ["A-1-4", "A-2-4"];
        assert_eq!(aisle(4, &front).as_deref(), Some("B-1-5 B-1-6 B-1-7 B-1-8"), "none sits across an aisle");
    }

    proptest! {
        #[test]
        fn any_text_is_a_map_or_an_error(section in "\\PC{0,20}", rows in "[0-9, -]{0,12}", seats in "[0-9, -]{0,12}|\\PC{0,9}") {
            let section = if section.len() % 2 == 0 { "A".to_owned() } else { section };
            if let Ok(map) = SeatMap::new(vec![SeatArea { section, rows, seats, price: 1 }]) {
                prop_assert!((1..=SEATS_MAX).contains(&map.len()));
                for (at, id) in map.ids().iter().enumerate().take(50) {
                    prop_assert_eq!(&SeatId::parse(id.as_str()).unwrap(), id);
                    prop_assert_eq!(map.find(id), Some(at));
                }
            }
        }

        #[test]
        fn the_best_seats_are_free_side_by_side_and_none_nearer(
            free in proptest::collection::vec(any::<bool>(), 24), count in 1..6usize,
        ) {
            let map = map(&[("A", "1-2", "1-4,6-12"), ("B", "1", "1-2")]);
            let is_free = |at: usize| free[at];
            let together = |block: &Range<usize>| {
                let row = map.rows().find(|row| row.seats.contains(&block.start)).unwrap();
                let numbers: Vec<_> = block.clone().filter_map(|at| map.number(at)).collect();
                block.end <= row.seats.end && block.clone().all(is_free) && numbers.windows(2).all(|n| n[0] + 1 == n[1])
            };
            // Every block there is, scored as the documentation says; the first of the best is the answer.
            let blocks = (0..=24 - count).map(|at| at..at + count).filter(together);
            let score = |block: &Range<usize>| {
                let row_at = map.rows().position(|row| row.seats.contains(&block.start)).unwrap();
                let row = map.rows().nth(row_at).unwrap().seats;
                let number = |at: usize| i32::from(map.number(at).unwrap());
                let off = (number(block.start) + number(block.end - 1) - number(row.start) - number(row.end - 1)).abs();
                (row_at, off, block.start)
            };
            prop_assert_eq!(map.best(count, is_free), blocks.min_by_key(score));
        }
    }
}
