import CNI

/// `del_mode`: what DEL does when its store is away (D6).
enum DeleteMode: String {
    /// It cleans the node, leaves the rest to the journal, and succeeds.
    case journal
    /// It cleans the node and fails; the runtime has to repeat it.
    case strict

    /// Throws code 2 for another word.
    init(_ configuration: ObjectReader) throws(CNIError) {
        guard let word = try configuration.nonEmptyString("del_mode") else {
            self = .journal
            return
        }
        guard let mode = DeleteMode(rawValue: word) else {
            throw CNIError(.unsupportedField, "\"del_mode\" must be \"journal\" or \"strict\", not \(word.quoted)")
        }
        self = mode
    }
}
