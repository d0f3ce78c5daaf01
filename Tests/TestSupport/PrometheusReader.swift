/// Reads Prometheus' text format as strictly as promtool does, for tests of what is exposed.
public struct PrometheusReader {
    public struct Family: Hashable {
        public var type = ""
        public var help = ""
        public var samples: [Sample] = []
    }

    public struct Sample: Hashable {
        public let name: String
        public let labels: [String: String]
        public let value: Double
    }

    /// What is wrong with a text, and in which line.
    public struct Fault: Error, Hashable, CustomStringConvertible {
        public let line: Int
        public let reason: String

        public var description: String { "line \(line): \(reason)" }
    }

    public private(set) var families: [String: Family] = [:]
    private var line = 0

    public init(_ text: String) throws(Fault) {
        guard text.isEmpty || text.hasSuffix("\n") else {
            throw Fault(line: 0, reason: "the last line has no end")
        }
        var current = ""
        for text in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            line += 1
            if text.hasPrefix("# HELP ") {
                let parts = text.dropFirst(7).split(separator: " ", maxSplits: 1)
                guard parts.count == 2, families[String(parts[0])] == nil else { throw fault("help \(text)") }
                current = String(parts[0])
                guard current.wholeMatch(of: /[a-zA-Z_:][a-zA-Z0-9_:]*/) != nil else { throw fault("name \(current)") }
                families[current] = Family(help: String(parts[1]))
            } else if text.hasPrefix("# TYPE ") {
                let parts = text.dropFirst(7).split(separator: " ")
                guard parts.count == 2, parts[0] == current, families[current]?.type == "",
                    ["counter", "gauge", "histogram"].contains(parts[1])
                else { throw fault("type \(text)") }
                families[current]?.type = String(parts[1])
            } else {
                try take(try sample(text), of: current)
            }
        }
        for (name, family) in families {
            guard !family.samples.isEmpty else { throw Fault(line: 0, reason: "\(name) has no samples") }
            if family.type == "histogram" { try check(name, family) }
        }
    }

    private func fault(_ reason: String) -> Fault { Fault(line: line, reason: reason) }

    private mutating func take(_ sample: Sample, of name: String) throws(Fault) {
        guard let family = families[name], !family.type.isEmpty else { throw fault("a sample without its type") }
        let suffixes = family.type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
        guard suffixes.contains(where: { sample.name == name + $0 }) else { throw fault("\(sample.name) in \(name)") }
        if family.type == "counter" {
            guard name.hasSuffix("_total"), sample.value >= 0 else { throw fault("the counter \(name)") }
        }
        guard !family.samples.contains(where: { $0.name == sample.name && $0.labels == sample.labels }) else {
            throw fault("\(sample.name) twice")
        }
        families[name]?.samples.append(sample)
    }

    private func sample(_ text: Substring) throws(Fault) -> Sample {
        var rest = text
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") }
        rest.removeFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest.removeFirst()
            while rest.first != "}" {
                let key = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
                rest.removeFirst(key.count)
                guard !key.isEmpty, rest.hasPrefix("=\""), labels[String(key)] == nil else { throw fault("\(text)") }
                rest.removeFirst(2)
                labels[String(key)] = try quoted(&rest)
                if rest.first == "," { rest.removeFirst() } else if rest.first != "}" { throw fault("\(text)") }
            }
            rest.removeFirst()
        }
        guard !name.isEmpty, rest.first == " " else { throw fault("\(text)") }
        let number = rest.dropFirst()
        let value = ["+Inf": Double.infinity, "-Inf": -.infinity, "NaN": .nan][String(number)] ?? Double(number)
        guard let value else { throw fault("the number \(number)") }
        return Sample(name: String(name), labels: labels, value: value)
    }

    /// What stands before the closing quotation mark.
    private func quoted(_ rest: inout Substring) throws(Fault) -> String {
        var value = ""
        while let character = rest.popFirst() {
            if character == "\"" { return value }
            guard character == "\\" else {
                value.append(character)
                continue
            }
            switch rest.popFirst() {
            case "\\": value.append("\\")
            case "\"": value.append("\"")
            case "n": value.append("\n")
            default: throw fault("an escape that is none")
            }
        }
        throw fault("a label without an end")
    }

    /// Buckets ascend, end in an infinite one, and agree with the count.
    private func check(_ name: String, _ family: Family) throws(Fault) {
        let groups = Dictionary(grouping: family.samples) { sample in
            sample.labels.filter { $0.key != "le" }
        }
        for samples in groups.values {
            let buckets = samples.filter { $0.name.hasSuffix("_bucket") }
            let bounds = buckets.map { $0.labels["le"] == "+Inf" ? .infinity : Double($0.labels["le"] ?? "") ?? .nan }
            guard bounds == bounds.sorted(), bounds.last == .infinity,
                buckets.map(\.value) == buckets.map(\.value).sorted(),
                samples.count(where: { $0.name == name + "_sum" }) == 1,
                samples.filter({ $0.name == name + "_count" }).map(\.value) == [buckets.last?.value]
            else { throw Fault(line: 0, reason: "the buckets of \(name)") }
        }
    }

    // MARK: Questions

    /// The bounds of a histogram, the infinite one included.
    public func bounds(_ name: String) -> [String] {
        var seen: Set<String> = []
        return (families[name]?.samples ?? []).compactMap { $0.labels["le"] }.filter { seen.insert($0).inserted }
    }

    /// The names of the labels that the samples of a metric have, without that of buckets.
    public func labels(_ name: String) -> Set<String> {
        Set((families[name]?.samples ?? []).flatMap(\.labels.keys)).subtracting(["le"])
    }

    /// The one sample of that name with at least these labels; `nil` when there is none.
    public func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        let suffixes = ["", "_bucket", "_sum", "_count"]
        let family = suffixes.lazy.compactMap { suffix in
            name.hasSuffix(suffix) ? families[String(name.dropLast(suffix.count))] : nil
        }.first
        return family?.samples.first { sample in
            sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value }
        }?.value
    }
}
