// What a GPU cannot do yet.
#pragma once

namespace tranche {

class Job;

// Throws Exit::job_file, naming the key, if a job asks for something that only the CPU computes: its host code reads
// what it computes with where it lies.
void check_gpus_can(const Job& job);

}  // namespace tranche
