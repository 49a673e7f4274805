# A customer's infrastructure: a machine that can be reached at an address of its own, and what it needs for that.
# The variables are what test_terraform.py changes between one apply and the next. The key comes from the environment.

variable "endpoint" {}
variable "region" {}
variable "image" {}
variable "public_key" {}
variable "type" {}
variable "stage" {}
variable "groups" { type = set(string) }

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region                 = var.region
  skip_region_validation = true # the provider knows AWS's regions only
  max_retries            = 3
  endpoints {
    ec2 = var.endpoint
    sts = var.endpoint
  }
}

# --- what is there before

data "aws_availability_zones" "all" {
  state = "available"
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

data "aws_ami" "chosen" {
  most_recent = true
  owners      = ["onefleet"]
  filter {
    name   = "name"
    values = [var.image]
  }
}

# --- what is made

resource "aws_key_pair" "mine" {
  key_name   = "mine"
  public_key = var.public_key
}

resource "aws_security_group" "each" {
  for_each    = toset(["web", "inside"])
  name        = each.key
  description = "Made by Terraform"
  tags        = { Name = each.key }

  ingress {
    description = "ssh"
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
  ingress {
    description = "each other"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    self        = true
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_instance" "web" {
  ami                    = data.aws_ami.chosen.id
  instance_type          = var.type
  availability_zone      = data.aws_availability_zones.all.names[0]
  key_name               = aws_key_pair.mine.key_name
  vpc_security_group_ids = [for name in var.groups : aws_security_group.each[name].id]
  user_data              = "#!/bin/sh\necho hello\n"
  tags                   = { Name = "web", stage = var.stage }
}

resource "aws_eip" "web" {
  instance = aws_instance.web.id
  tags     = { Name = "web" }
}

# --- what the test compares with what the gateway tells

output "account" { value = aws_security_group.each["web"].owner_id }
output "address" { value = aws_eip.web.public_ip }
output "groups" { value = { for name, group in aws_security_group.each : name => group.id } }
output "image" { value = data.aws_ami.chosen.id }
output "machine" { value = aws_instance.web.id }
output "subnets" { value = data.aws_subnets.default.ids }
output "vpc" { value = [data.aws_vpc.default.id, data.aws_vpc.default.cidr_block] }
output "zones" { value = data.aws_availability_zones.all.names }
