import ArgumentParser
import JSON
import Reports

/// How a report is printed that is a table for people.
enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case table, wide, json, yaml, csv

    /// `nil` for what is no table.
    var form: TableForm? {
        switch self {
        case .table: .narrow
        case .wide: .wide
        case .csv: .csv
        case .json, .yaml: nil
        }
    }

    /// A report in this form; YAML says the same as the JSON.
    func text(table: (TableForm) throws -> String, json: () throws -> String) throws -> String {
        if let form { return try table(form) }
        return try self == .json ? json() : json().asYAML
    }
}

/// How a report is printed that is text for people.
enum TextFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json, yaml

    /// `table` is what other commands call the form for people.
    init?(argument: String) { self.init(rawValue: argument == "table" ? "text" : argument) }

    func text(_ text: @autoclosure () -> String, json: @autoclosure () throws -> String) throws -> String {
        switch self {
        case .text: text()
        case .json: try json()
        case .yaml: try json().asYAML
        }
    }
}

extension String {
    fileprivate var asYAML: String {
        get throws { try JSONValue(parsing: Array(utf8).span).yaml }
    }
}
