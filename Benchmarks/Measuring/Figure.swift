/// Something that was measured, and what it should be.
public struct Figure: Sendable {
    public enum Goal: Sendable {
        case atMost(Double)
        case atLeast(Double)
    }

    public enum Unit: Sendable {
        /// How many times what it is compared with.
        case ratio
        case milliseconds
        case mebibytes
        case perSecond
    }

    let name: String
    let value: Double
    let unit: Unit
    let goal: Goal?
    /// What the value was made of, for a person.
    let detail: String

    public init(_ name: String, _ value: Double, _ unit: Unit, goal: Goal? = nil, detail: String = "") {
        self.name = name
        self.value = value
        self.unit = unit
        self.goal = goal
        self.detail = detail
    }

    /// Whether the goal is reached; `nil` without one.
    var isReached: Bool? {
        switch goal {
        case nil: nil
        case .atMost(let limit): value <= limit
        case .atLeast(let limit): value >= limit
        }
    }

    var goalText: String {
        switch goal {
        case nil: ""
        case .atMost(let limit): "≤ \(unit.text(limit))"
        case .atLeast(let limit): "≥ \(unit.text(limit))"
        }
    }
}

extension Figure.Unit {
    public func text(_ value: Double) -> String {
        switch self {
        case .ratio: "\(value.text(digits: 2)) ×"
        case .milliseconds: "\(value.text(digits: value < 100 ? 2 : 0)) ms"
        case .mebibytes: "\(value.text(digits: 1)) MiB"
        case .perSecond: "\(value.text(digits: 0))/s"
        }
    }
}

extension Double {
    /// With so many digits behind the point.
    public func text(digits: Int) -> String {
        guard isFinite, magnitude < 1e15 else { return "-" }
        let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
        let number = Int((magnitude * Double(scale)).rounded())
        let fraction = String(number % scale)
        let point = digits > 0 ? "." + String(repeating: "0", count: digits - fraction.count) + fraction : ""
        return (self < 0 && number > 0 ? "-" : "") + String(number / scale) + point
    }
}
