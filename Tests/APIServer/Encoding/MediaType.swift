/// What a client can read, and what it gets.
struct Representation: Hashable, Sendable {
    enum Encoding: Hashable, Sendable { case json, protobuf }

    /// What an object is turned into.
    enum Form: Hashable, Sendable { case object, table, metadata, aggregatedDiscovery }

    var encoding = Encoding.json
    var form = Form.object

    static let json = Representation()

    var contentType: String {
        switch (encoding, form) {
        case (_, .aggregatedDiscovery): "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        case (.json, _): "application/json"
        case (.protobuf, _): "application/vnd.kubernetes.protobuf"
        }
    }

    var watchContentType: String {
        encoding == .protobuf ? "application/vnd.kubernetes.protobuf;stream=watch" : "application/json"
    }

    /// The first of an Accept header's clauses that can be served.
    ///
    /// - Parameters:
    ///   - protobuf: whether what is asked for has a protobuf form.
    ///   - discovery: whether it is the discovery of all groups.
    init?(accept: String, protobuf: Bool, discovery: Bool = false) {
        let clauses = accept.split(separator: ",").map { clause in
            clause.split(separator: ";").map { $0.trimmingSpaces }
        }
        if clauses.isEmpty {
            self.init()
            return
        }
        for clause in clauses {
            let encoding: Encoding
            switch clause.first {
            case "application/json", "application/*", "*/*": encoding = .json
            case "application/vnd.kubernetes.protobuf" where protobuf: encoding = .protobuf
            default: continue
            }
            var parameters: [String: String] = [:]
            for parameter in clause.dropFirst() {
                let parts = parameter.split(separator: "=", maxSplits: 1)
                if parts.count == 2 { parameters[String(parts[0])] = String(parts[1]) }
            }
            switch parameters["as"] {
            case nil: self.init(encoding: encoding)
            case "Table" where parameters["v"] == "v1" && encoding == .json: self.init(form: .table)
            case "PartialObjectMetadataList" where parameters["v"] == "v1" && encoding == .json,
                "PartialObjectMetadata" where parameters["v"] == "v1" && encoding == .json:
                self.init(form: .metadata)
            case "APIGroupDiscoveryList" where discovery && parameters["v"] == "v2":
                self.init(form: .aggregatedDiscovery)
            default: continue
            }
            return
        }
        return nil
    }

    init(encoding: Encoding = .json, form: Form = .object) {
        self.encoding = encoding
        self.form = form
    }
}

extension Substring {
    var trimmingSpaces: String {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
