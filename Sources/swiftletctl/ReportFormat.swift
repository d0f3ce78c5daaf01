import ArgumentParser
import JSON

/// How a report is printed that is a table, or text, for people.
enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json, yaml
}

/// How a report is printed that is no table for people.
enum TextFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json, yaml
}

extension Output {
    /// Prints a report in the form wanted; YAML says the same as the JSON.
    static func print(_ format: ReportFormat, table: @autoclosure () -> String, json: @autoclosure () throws -> String)
        throws
    {
        switch format {
        case .table: print(table())
        case .json: print(try json())
        case .yaml: print(try yaml(json()))
        }
    }

    static func print(_ format: TextFormat, text: @autoclosure () -> String, json: @autoclosure () throws -> String)
        throws
    {
        switch format {
        case .text: print(text())
        case .json: print(try json())
        case .yaml: print(try yaml(json()))
        }
    }

    private static func yaml(_ json: String) throws -> String { try JSONValue(parsing: Array(json.utf8).span).yaml }
}
