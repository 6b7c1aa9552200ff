/// The longest chain of images each made from the one before, by the seconds spent on them: no number
/// of workers makes a run shorter than this. Images on which nothing was spent are left out.
///
/// `parents` of an image stand before it.
pub(super) fn critical(parents: &[Vec<usize>], seconds: &[Option<f64>]) -> (Vec<usize>, f64) {
    let mut longest: Vec<(f64, Option<usize>)> = Vec::with_capacity(parents.len());
    for (image, above) in parents.iter().enumerate() {
        let before = above
            .iter()
            .filter_map(|parent| Some((longest.get(*parent)?.0, *parent)))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let own = seconds.get(image).copied().flatten().unwrap_or(0.0);
        longest.push((
            own + before.map_or(0.0, |b| b.0),
            before.map(|(_, parent)| parent),
        ));
    }
    let last = (0..longest.len()).max_by(|a, b| longest[*a].0.total_cmp(&longest[*b].0));
    let total = last.map_or(0.0, |last| longest[last].0);
    let mut chain = Vec::new();
    let mut next = last;
    while let Some(image) = next {
        if seconds.get(image).copied().flatten().is_some() {
            chain.push(image);
        }
        next = longest[image].1;
    }
    chain.reverse();
    (chain, total)
}

#[cfg(test)]
mod tests {
    use super::critical;

    #[test]
    fn the_longest_chain_is_by_time_and_not_by_length() {
        // 0 -> 1 -> 2 -> 3, 0 -> 4, 3 and 4 -> 5
        let parents = [vec![], vec![0], vec![1], vec![2], vec![0], vec![3, 4]];
        let seconds = [5.0, 1.0, 1.0, 1.0, 9.0, 2.0].map(Some);
        assert_eq!(critical(&parents, &seconds), (vec![0, 4, 5], 16.0));
    }

    #[test]
    fn what_was_not_worked_on_is_no_part_of_it() {
        let parents = [vec![], vec![0], vec![1]];
        let seconds = [None, Some(2.0), Some(3.0)];
        assert_eq!(critical(&parents, &seconds), (vec![1, 2], 5.0));
        assert_eq!(critical(&parents, &[None, None, None]), (vec![], 0.0));
        assert_eq!(critical(&[], &[]), (vec![], 0.0));
    }
}
