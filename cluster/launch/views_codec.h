// Views to and from their schema forms.
#pragma once

#include "cluster/launch/views.h"
#include "schema/agent.capnp.h"
#include "schema/launch.capnp.h"

namespace jvmc::cluster {

void encode(const ThreadView& view, schema::ThreadInfo::Builder out);
void encode(const NodeView& view, schema::NodeInfo::Builder out);
void encode(const ProgramView& view, schema::ProgramInfo::Builder out);
void encode(const AgentView& view, schema::AgentInfo::Builder out);
void encode(const BlocksMovedView& view, schema::BlocksMoved::Builder out);
void encode(const LeftView& view, schema::LeftInfo::Builder out);
void encode(const DrainView& view, schema::DrainInfo::Builder out);
void encode(const DecisionView& view, schema::Decision::Builder out);

LeftView decode(schema::LeftInfo::Reader in);
DrainView decode(schema::DrainInfo::Reader in);
DecisionView decode(schema::Decision::Reader in);

BlocksMovedView decode(schema::BlocksMoved::Reader in);
ThreadView decode(schema::ThreadInfo::Reader in);
NodeView decode(schema::NodeInfo::Reader in);
ProgramView decode(schema::ProgramInfo::Reader in);
AgentView decode(schema::AgentInfo::Reader in);

template <class View, class List>
void encodeList(const std::vector<View>& views, List out) {
  for (size_t i = 0; i < views.size(); ++i) encode(views[i], out[uint32_t(i)]);
}

template <class View, class List>
std::vector<View> decodeList(List in) {
  std::vector<View> views;
  views.reserve(in.size());
  for (auto item : in) views.push_back(decode(item));
  return views;
}

}  // namespace jvmc::cluster
