import Measuring

extension Scoreboard {
    mutating func add(_ turns: Turns) {
        let (local, etcd, reference) = (turns.scores[0], turns.scores[1], turns.scores[2])
        func add(
            _ name: String,
            _ call: (Turns.Score) -> [Cost],
            _ score: Turns.Score,
            p50: Figure.Goal? = nil,
            p95: Figure.Goal? = nil
        ) {
            let (ours, theirs) = (CostSummary(call(score)), CostSummary(call(reference)))
            let cpu =
                "; CPU \(Figure.Unit.milliseconds.text(ours.cpuMean)) against "
                + Figure.Unit.milliseconds.text(theirs.cpuMean)
            self.add(.ratio("\(name), median", ours.wall.p50, theirs.wall.p50, goal: p50, more: cpu))
            self.add(.ratio("\(name), 95th percentile", ours.wall.p95, theirs.wall.p95, goal: p95))
        }
        add("ADD, local store", \.add, local, p50: .atMost(0.6), p95: .atMost(0.8))
        add("DEL, local store", \.delete, local, p50: .atMost(0.9))
        add("ADD, etcd", \.add, etcd, p50: .atMost(1.5))
        add("DEL, etcd", \.delete, etcd)
        add("VERSION", \.version, local)
        for (name, score) in [("local store", local), ("etcd", etcd)] {
            self.add(
                Figure(
                    "peak memory of ADD, \(name)",
                    score.peakResident,
                    .mebibytes,
                    goal: .atMost(25),
                    detail: "ptp: \(Figure.Unit.mebibytes.text(reference.peakResident))"
                )
            )
        }
    }

    mutating func add(_ crowd: Crowd, size: Int) {
        let (ours, theirs) = (crowd.scores[0], crowd.scores[1])
        func addCalls(_ name: String, _ call: (Crowd.Score) -> [Cost], goal: Figure.Goal? = nil) {
            let (ours, theirs) = (CostSummary(call(ours)), CostSummary(call(theirs)))
            func each(_ summary: CostSummary) -> String {
                Figure.Unit.milliseconds.text(summary.cpuMean / Double(size))
            }
            let cpu = "; CPU of each \(each(ours)) against \(each(theirs))"
            self.add(
                .ratio("\(size) \(name)s at once, local store", ours.wall.p50, theirs.wall.p50, goal: goal, more: cpu)
            )
        }
        addCalls("ADD", \.add, goal: .atMost(0.6))
        addCalls("DEL", \.delete)
        if let first = ours.failures.first {
            add(failure: "\(ours.failures.count) of \(ours.calls) calls of swiftlet at once, the first: \(first)")
        }
        if let first = theirs.failures.first {
            add(remark: "\(theirs.failures.count) of \(theirs.calls) calls of ptp at once failed, the first: \(first)")
        }
    }
}

extension Figure {
    fileprivate static func ratio(
        _ name: String,
        _ ours: Double,
        _ theirs: Double,
        goal: Goal? = nil,
        more: String = ""
    ) -> Figure {
        let detail = "\(Unit.milliseconds.text(ours)) against \(Unit.milliseconds.text(theirs))\(more)"
        return Figure(name, ours / theirs, .ratio, goal: goal, detail: detail)
    }
}
