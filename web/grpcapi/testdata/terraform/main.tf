terraform {
  required_providers {
    yandex = { source = "yandex-cloud/yandex" }
  }
}
variable "endpoint" {}
variable "token" {}
variable "zip" {}
provider "yandex" {
  endpoint  = var.endpoint
  token     = var.token
  cloud_id  = "default"
  folder_id = "acme"
}
resource "yandex_iam_service_account" "robot" {
  name        = "robot"
  description = "acts for hello"
}
resource "yandex_resourcemanager_folder_iam_member" "robot" {
  folder_id = "acme"
  role      = "functions.functionInvoker"
  member    = "serviceAccount:${yandex_iam_service_account.robot.id}"
}
resource "yandex_function" "hello" {
  name               = "hello"
  description        = "made by Terraform"
  labels             = { by = "terraform" }
  user_hash          = filesha256(var.zip)
  runtime            = "python312"
  entrypoint         = "main.handler"
  memory             = 128
  execution_timeout  = "5"
  service_account_id = yandex_iam_service_account.robot.id
  environment        = { NAME = "Ann" }
  tags               = ["prod"]
  content { zip_filename = var.zip }
}
resource "yandex_function_iam_binding" "public" {
  function_id = yandex_function.hello.id
  role        = "serverless.functions.invoker"
  members     = ["system:allUsers"]
}
resource "yandex_function_scaling_policy" "hello" {
  function_id = yandex_function.hello.id
  policy {
    tag                  = "prod"
    zone_instances_limit = 3
    zone_requests_limit  = 20
  }
}
resource "yandex_function_trigger" "hourly" {
  name        = "hourly"
  description = "calls hello"
  labels      = { by = "terraform" }
  timer {
    cron_expression = "0 * ? * * *"
    payload         = "tick"
  }
  function {
    id                 = yandex_function.hello.id
    tag                = "prod"
    retry_attempts     = 3
    retry_interval     = 15
    service_account_id = yandex_iam_service_account.robot.id
  }
}
