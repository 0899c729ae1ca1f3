#pragma once

namespace mformer::cli {

/// First line of what `inspect keep-curve --csv` writes and `report --keep-curve` reads. Of criteria that draw nothing
/// at random `seed` is empty.
inline constexpr const char* keep_curve_csv_header =
    "task,split,scope,criterion,keep,seed,att_kept,mlp_kept,tokens,loss";

}  // namespace mformer::cli
