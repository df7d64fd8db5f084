@description('The name of the e-mail service.')
param name string

@description('Tags of the resources.')
param tags object

@description('Where its data lies.')
param dataLocation string

@description('The domain that notices come from; empty: one that Azure manages.')
param domainName string

@description('Keep the domain that Azure manages beside one\'s own, which nobody has verified yet.')
param keepsManaged bool

var managed = empty(domainName)

resource service 'Microsoft.Communication/emailServices@2025-09-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: { dataLocation: dataLocation }
}

resource domain 'Microsoft.Communication/emailServices/domains@2025-09-01' = {
  parent: service
  name: managed ? 'AzureManagedDomain' : domainName
  location: 'global'
  tags: tags
  properties: {
    domainManagement: managed ? 'AzureManaged' : 'CustomerManaged'
    // Tracking would rewrite the links of a notice and add a picture to it.
    userEngagementTracking: 'Disabled'
  }
}

resource managedDomain 'Microsoft.Communication/emailServices/domains@2025-09-01' = if (keepsManaged) {
  parent: service
  name: 'AzureManagedDomain'
  location: 'global'
  tags: tags
  properties: {
    domainManagement: 'AzureManaged'
    userEngagementTracking: 'Disabled'
  }
}

output managedDomainId string = keepsManaged ? managedDomain.id : ''
output domainId string = domain.id
output senderDomain string = domain.properties.fromSenderDomain
output verificationRecords object = managed ? {} : domain.properties.verificationRecords
