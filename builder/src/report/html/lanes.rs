/// For each interval the lane it is drawn in, such that no two of a lane overlap: the lowest that is
/// free when it begins. There are as many lanes as things ran at once.
///
/// Intervals are given by the order of their beginnings.
pub(super) fn lanes(intervals: &[(f64, f64)]) -> Vec<usize> {
    let mut ends: Vec<f64> = Vec::new();
    intervals
        .iter()
        .map(|(begin, end)| {
            let lane = ends.iter().position(|free| free <= begin);
            let lane = lane.unwrap_or_else(|| {
                ends.push(0.0);
                ends.len() - 1
            });
            ends[lane] = *end;
            lane
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::lanes;

    #[test]
    fn what_overlaps_is_in_other_lanes() {
        let intervals = [
            (0.0, 5.0),
            (1.0, 2.0),
            (2.0, 3.0),
            (2.5, 9.0),
            (5.0, 6.0),
            (5.5, 7.0),
        ];
        assert_eq!(lanes(&intervals), [0, 1, 1, 2, 0, 1]);
    }

    #[test]
    fn there_are_as_many_lanes_as_ran_at_once() {
        // Each of 100 runs for ten beats, one begins at every beat.
        let intervals: Vec<_> = (0..100)
            .map(|i| (f64::from(i), f64::from(i + 10)))
            .collect();
        let lanes = lanes(&intervals);
        assert_eq!(lanes.iter().max(), Some(&9));
        for (i, lane) in lanes.iter().enumerate() {
            let overlapping = (i + 1..100.min(i + 10)).filter(|j| lanes[*j] == *lane);
            assert_eq!(overlapping.count(), 0);
        }
    }

    #[test]
    fn nothing_needs_no_lane() {
        assert!(lanes(&[]).is_empty());
    }
}
