#include "ir/passes/preheader.h"

#include <algorithm>

namespace jvmc::ir {
namespace {

bool contains(const Loop& loop, BlockId b) {
  return std::binary_search(loop.blocks.begin(), loop.blocks.end(), b);
}

void makePreheader(BodyEditor& editor, const Cfg& cfg, const Loop& loop) {
  FunctionBody& body = editor.body;
  BlockId header = loop.header;
  SourceLoc loc = body[header].loc;
  BlockId front = editor.addBlock(body[header].name + "_front", loc);
  std::vector<ValueId> args;
  for (ValueId p : std::vector<ValueId>(body[header].params))
    args.push_back(editor.addParam(front, body[p].type, body[p].name));
  body[front].instrs.push_back(branchTo(header, std::move(args), loc));
  for (BlockId p : cfg.predecessors(header)) {
    if (contains(loop, p)) continue;
    for (BlockCall& target : body[p].instrs.back().targets)
      if (target.block == header) target.block = front;
    if (body[p].handler && body[p].handler->block == header) body[p].handler->block = front;
  }
}

}  // namespace

BlockId findPreheader(const FunctionBody& body, const Cfg& cfg, const Loop& loop) {
  BlockId front;
  for (BlockId p : cfg.predecessors(loop.header)) {
    if (contains(loop, p)) continue;
    if (front.valid()) return BlockId();
    front = p;
  }
  bool isPlain = front.valid() && body[front].instrs.back().op == Opcode::kBr && cfg.handler(front) != loop.header;
  return isPlain ? front : BlockId();
}

bool makePreheaders(FunctionBody& body) {
  Cfg cfg(body);
  BodyEditor editor(body);
  bool changed = false;
  for (const Loop& loop : cfg.loops()) {
    if (findPreheader(body, cfg, loop).valid()) continue;
    makePreheader(editor, cfg, loop);
    changed = true;
  }
  return changed;
}

}  // namespace jvmc::ir
