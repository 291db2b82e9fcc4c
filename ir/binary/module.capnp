# Binary form of a module. (See ir/binary/writer.h.)
@0xb7f2c3a15d9e4c01;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("jvmc::ir::schema");

struct Module {
  name @0 :Text;
}
