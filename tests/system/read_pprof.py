#!/usr/bin/env python3
"""Reads a pprof file with Google's protobuf and prints its samples' innermost frames as JSON. Usage: read_pprof.py FILE

The message descriptions are those of pprof's profile.proto. Fails if the file says what they do not know, or refers to
what is not there.
"""
import gzip
import json
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

INT64, UINT64, BOOL, STRING, MESSAGE = 3, 4, 8, 9, 11
MESSAGES = {
    "Profile": [("sample_type", 1, "ValueType", True), ("sample", 2, "Sample", True), ("mapping", 3, "Mapping", True),
                ("location", 4, "Location", True), ("function", 5, "Function", True), ("string_table", 6, STRING, True),
                ("drop_frames", 7, INT64, False), ("keep_frames", 8, INT64, False), ("time_nanos", 9, INT64, False),
                ("duration_nanos", 10, INT64, False), ("period_type", 11, "ValueType", False),
                ("period", 12, INT64, False), ("comment", 13, INT64, True), ("default_sample_type", 14, INT64, False)],
    "ValueType": [("type", 1, INT64, False), ("unit", 2, INT64, False)],
    "Sample": [("location_id", 1, UINT64, True), ("value", 2, INT64, True), ("label", 3, "Label", True)],
    "Label": [("key", 1, INT64, False), ("str", 2, INT64, False), ("num", 3, INT64, False),
              ("num_unit", 4, INT64, False)],
    "Mapping": [("id", 1, UINT64, False)],
    "Location": [("id", 1, UINT64, False), ("mapping_id", 2, UINT64, False), ("address", 3, UINT64, False),
                 ("line", 4, "Line", True), ("is_folded", 5, BOOL, False)],
    "Line": [("function_id", 1, UINT64, False), ("line", 2, INT64, False)],
    "Function": [("id", 1, UINT64, False), ("name", 2, INT64, False), ("system_name", 3, INT64, False),
                 ("filename", 4, INT64, False), ("start_line", 5, INT64, False)],
}


def profile_class():
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="perftools.profiles", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            entry = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                entry.type, entry.type_name = MESSAGE, ".perftools.profiles." + kind
            else:
                entry.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(
        pool.FindMessageTypeByName("perftools.profiles.Profile"))


def main():
    profile = profile_class()()
    profile.ParseFromString(gzip.open(sys.argv[1]).read())
    unknown = profile.UnknownFields() if hasattr(profile, "UnknownFields") else []
    assert len(unknown) == 0, "fields that pprof does not know"
    text = profile.string_table
    assert text[0] == "", "the string table does not begin with an empty string"
    functions = {function.id: function for function in profile.function}
    locations = {location.id: location for location in profile.location}
    assert 0 not in functions and 0 not in locations
    types = [(text[t.type], text[t.unit]) for t in profile.sample_type]
    assert types == [("samples", "count"), ("cpu", "nanoseconds")], types
    assert text[profile.default_sample_type] == "cpu"
    leaves = {}
    for sample in profile.sample:
        assert len(sample.value) == len(types)
        labels = {text[label.key]: text[label.str] for label in sample.label}
        places = [locations[each].line[0] for each in sample.location_id]
        place = next((p for p in places if not text[functions[p.function_id].name].startswith("[")), places[0])
        function = functions[place.function_id]
        key = (text[function.name], text[function.filename], place.line, labels["thread"])
        leaves[key] = leaves.get(key, 0) + sample.value[1]
    json.dump([{"function": key[0], "file": key[1], "line": key[2], "thread": key[3], "value": value}
               for key, value in leaves.items()], sys.stdout)


if __name__ == "__main__":
    main()
