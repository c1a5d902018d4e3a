//! References to look for in rows, by what of them may be left.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::likeness::{Likeness, Name, Text, edits};
use super::waiting::Waiting;
use crate::vocabulary::Money;

/// Shorter names stand in any text by chance.
const SHORTEST: usize = 6;
/// Without its prefix, a reference must be as long as this to be told from other numbers.
const SHORTEST_BARE: usize = 10;
/// A piece of a reference that is looked for: of four pieces, two wrong characters leave one.
const PIECE: usize = 3;
/// A piece that so many references share says nothing.
const SHARED: usize = 64;
/// So many comparisons are made for a row at most; a row as banks write them needs some hundred.
const COMPARED: usize = 10_000;
/// Of a cut reference so much must be left, besides its prefix.
const LEFT: usize = 3;

/// Two texts in either order: a reference may be spread over them.
fn joined([one, other]: [&str; 2]) -> Vec<Text> {
    if one.is_empty() || other.is_empty() {
        return vec![Text::new(&[one, other], false)];
    }
    vec![
        Text::new(&[one, other], false),
        Text::new(&[other, one], true),
    ]
}

/// The references that are waited for.
#[derive(Debug)]
pub(super) struct Index {
    names: Vec<Name>,
    /// By the whole name; and by what stands behind its prefix.
    whole: HashMap<String, Vec<usize>>,
    bare: HashMap<String, Vec<usize>>,
    /// The lengths of those.
    lengths: (Vec<usize>, Vec<usize>),
    /// By a piece of what stands behind the prefix: where it stands there.
    pieces: HashMap<[u8; PIECE], Vec<(usize, usize)>>,
    /// By how a name begins.
    starts: HashMap<String, Vec<usize>>,
    pub(super) sums: HashMap<Money, Vec<usize>>,
}

impl Index {
    /// For the references of some transfers.
    pub(super) fn new(waiting: &[Waiting]) -> Self {
        let mut index = Self {
            names: Vec::with_capacity(waiting.len()),
            whole: HashMap::new(),
            bare: HashMap::new(),
            lengths: Default::default(),
            pieces: HashMap::new(),
            starts: HashMap::new(),
            sums: HashMap::new(),
        };
        for (place, item) in waiting.iter().enumerate() {
            index.sums.entry(item.amount).or_default().push(place);
            let name = Name::new(item.reference.as_str());
            index.add(place, &name);
            index.names.push(name);
        }
        index.pieces.retain(|_, places| places.len() <= SHARED);
        index.starts.retain(|_, places| places.len() <= SHARED);
        let lengths = |of: &HashMap<String, Vec<usize>>| {
            let mut lengths: Vec<_> = of.keys().map(String::len).collect();
            lengths.sort_unstable();
            lengths.dedup();
            lengths
        };
        index.lengths = (lengths(&index.whole), lengths(&index.bare));
        index
    }

    fn add(&mut self, place: usize, name: &Name) {
        if name.whole().len() >= SHORTEST {
            let whole = name.whole().to_owned();
            self.whole.entry(whole).or_default().push(place);
        }
        let bare = name.bare();
        if bare.len() < SHORTEST_BARE {
            return;
        }
        self.bare.entry(bare.to_owned()).or_default().push(place);
        for at in (0..bare.len() - PIECE + 1).step_by(PIECE) {
            if let Ok(piece) = bare.as_bytes()[at..at + PIECE].try_into() {
                self.pieces.entry(piece).or_default().push((place, at));
            }
        }
        let start = name.prefix() + LEFT;
        if name.prefix() > 0 && start < name.whole().len() {
            let start = name.whole()[..start].to_owned();
            self.starts.entry(start).or_default().push(place);
        }
    }

    /// The references that stand in a row's texts as they were given.
    pub(super) fn whole_in(&self, texts: [&str; 2]) -> Vec<usize> {
        let whole = Self::standing(&joined(texts), &self.whole, &self.lengths.0);
        let whole = self.told(whole, Likeness::Whole).into_iter();
        whole.map(|(place, _)| place).collect()
    }

    /// Which references a row's texts have, or are like; the ones that are like it best.
    pub(super) fn like(&self, texts: [&str; 2]) -> Vec<(usize, Likeness)> {
        let texts = joined(texts);
        let whole = Self::standing(&texts, &self.whole, &self.lengths.0);
        if !whole.is_empty() {
            return self.told(whole, Likeness::Whole);
        }
        let bare = Self::standing(&texts, &self.bare, &self.lengths.1);
        if !bare.is_empty() {
            return self.told(bare, Likeness::WithoutPrefix);
        }
        let mut near: BTreeMap<u8, HashSet<usize>> = BTreeMap::new();
        let mut tried = HashSet::new();
        for text in &texts {
            for at in 0..text.len().saturating_sub(PIECE - 1) {
                let piece = text.piece::<PIECE>(at);
                for (place, offset) in piece
                    .and_then(|it| self.pieces.get(&it))
                    .into_iter()
                    .flatten()
                {
                    let start = at.saturating_sub(*offset);
                    if tried.len() < COMPARED
                        && tried.insert((*place, text.id(), start))
                        && let Some(edits) = edits(self.names[*place].bare(), text, start)
                    {
                        near.entry(edits).or_default().insert(*place);
                    }
                }
            }
        }
        if let Some((edits, places)) = near.into_iter().next() {
            let only = if places.len() == 1 {
                places
            } else {
                HashSet::new()
            };
            let likeness = Likeness::Edited { edits };
            return only.into_iter().map(|place| (place, likeness)).collect();
        }
        self.cut(&texts).into_iter().collect()
    }

    /// The names that stand in a text, without those that only stand inside a longer one.
    fn standing<'i>(
        texts: &[Text],
        names: &'i HashMap<String, Vec<usize>>,
        lengths: &[usize],
    ) -> BTreeMap<&'i str, &'i [usize]> {
        let mut found = BTreeMap::new();
        for text in texts {
            for length in lengths {
                for window in text.windows(*length) {
                    if let Some((name, places)) = names.get_key_value(window) {
                        found.insert(name.as_str(), places.as_slice());
                    }
                }
            }
        }
        let all: Vec<&str> = found.keys().copied().collect();
        found.retain(|name, _| {
            !all.iter()
                .any(|other| other.len() > name.len() && other.contains(name))
        });
        found
    }

    /// Where several references are written alike but for `O` and `0`, none is told from another.
    fn told(&self, found: BTreeMap<&str, &[usize]>, likeness: Likeness) -> Vec<(usize, Likeness)> {
        let alone = |places: &[usize]| {
            let first = places.first().map(|place| &self.names[*place]);
            places
                .iter()
                .all(|place| Some(&self.names[*place]) == first)
        };
        let places = found.into_values().filter(|places| alone(places)).flatten();
        places.map(|place| (*place, likeness)).collect()
    }

    /// The one reference whose beginning stands at the end of a word.
    fn cut(&self, texts: &[Text]) -> Option<(usize, Likeness)> {
        let mut best: Option<(usize, HashSet<usize>)> = None;
        for text in texts {
            for at in 0..text.len() {
                for place in self.beginning(text.from(at)) {
                    let name = &self.names[*place];
                    let same = text.same(at, name.whole());
                    if !text.breaks_at(at + same) || same < name.prefix() + LEFT {
                        continue;
                    }
                    let left = same - name.prefix();
                    match &mut best {
                        Some((most, places)) if left == *most => {
                            places.insert(*place);
                        }
                        Some((most, _)) if left < *most => {}
                        _ => best = Some((left, HashSet::from([*place]))),
                    }
                }
            }
        }
        let (left, places) = best?;
        let left = u8::try_from(left).unwrap_or(u8::MAX);
        let mut places = places.into_iter();
        match (places.next(), places.next()) {
            (Some(only), None) => Some((only, Likeness::Cut { left })),
            _ => None,
        }
    }

    /// The names that begin as a text does.
    fn beginning<'s>(&'s self, text: &'s str) -> impl Iterator<Item = &'s usize> {
        // Prefixes have one to four letters.
        let starts = (1..=4).filter_map(move |prefix| text.get(..prefix + LEFT));
        starts.filter_map(|start| self.starts.get(start)).flatten()
    }
}
