/// 128-bit integers, which the language does not have by name.
#pragma once

namespace kvplace {

__extension__ using Int128 = __int128;
__extension__ using UInt128 = unsigned __int128;

}  // namespace kvplace
