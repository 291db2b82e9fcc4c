// Twins and diffs. A twin is what a cached copy held when its first local writer joined; what differs from it is dirty.
// Everything works on 8-byte words and decides by *fields*: a field is dirty or it is not, never a part of it, so a
// reference is never mixed from two (the layout puts fields of one size into each word).
//
// Local threads go on storing meanwhile, so a word is read once, and a merge replaces it by compare-and-swap.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cluster/objects/object_shape.h"
#include "cluster/wire/bytes.h"

namespace jvmc::cluster {

using Twin = std::vector<uint64_t>;

/// All ones in each field of size 2^log2 bytes in which `difference` has a bit set.
uint64_t fieldMask(uint64_t difference, uint8_t log2);

Twin makeTwin(ObjectRef object, const ObjectShape& shape);

/// Appends the dirty fields as runs `u32 offset, u32 bytes, data` and makes them clean: the twin takes their value.
/// Returns the number of runs. Calls `onReference` for each reference written.
uint32_t writeDiff(ObjectRef object, const ObjectShape& shape, Twin& twin, ByteWriter& out,
                   const std::function<void(ObjectRef)>& onReference);

/// Brings the copy up to date with `fresh` (shape.dataBytes() bytes), keeping dirty fields; the twin becomes `fresh`.
/// Without a twin no thread here may write the copy, and it is replaced.
void mergeFresh(ObjectRef object, const ObjectShape& shape, std::span<const uint8_t> fresh, Twin* twin);

/// One run of a diff, as it arrives at the home.
struct DiffRun {
  uint64_t offset;
  std::span<const uint8_t> data;
};

/// The run covers whole fields inside the object's data.
bool runFits(const ObjectShape& shape, const DiffRun& run);

/// Stores the fields of a run that fits. `beforeReference(offset, value)` is called for each reference and says whether
/// it may be stored.
bool applyRun(ObjectRef object, const ObjectShape& shape, const DiffRun& run,
              const std::function<bool(uint64_t, ObjectRef)>& beforeReference);

}  // namespace jvmc::cluster
