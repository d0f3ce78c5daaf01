/// What `nft list` printed, one element per line and in a stable order: the kernel's order depends on a random seed.
public func sortingElements(_ listing: String) -> String {
    var lines: [String] = []
    var elements: [String]?
    for line in listing.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
        var text = line[...]
        let trimmed = text.drop { $0 == "\t" || $0 == " " }
        if elements == nil, trimmed.hasPrefix("elements = { ") {
            elements = []
            text = trimmed.dropFirst("elements = { ".count)
        } else if elements != nil {
            text = trimmed
        }
        guard elements != nil else {
            lines.append(line)
            continue
        }
        let isLast = text.hasSuffix(" }")
        if isLast { text = text.dropLast(2) }
        if text.hasSuffix(",") { text = text.dropLast() }
        for element in text.split(separator: ", ") { elements?.append(String(element)) }
        if isLast {
            lines += ["\t\telements = {"] + (elements ?? []).sorted().map { "\t\t\t\($0)" } + ["\t\t}"]
            elements = nil
        }
    }
    return lines.joined(separator: "\n")
}
